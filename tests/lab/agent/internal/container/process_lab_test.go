// SPDX-License-Identifier: GPL-3.0-or-later

//go:build lab

package container

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"meshops.example/lab/agent/internal/labtest"
	"meshops.example/lab/agent/internal/network"
)

// sandbox returns the sandbox of a new pod.
func sandbox(t *testing.T) *network.Sandbox {
	t.Helper()
	attached, err := labtest.Network(t).Attach(t.Name(), "a-pod")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := attached.Close(); err != nil {
			t.Error(err)
		}
	})
	return attached
}

// startScript runs a shell script as a container and returns its log's path.
func startScript(t *testing.T, spec Spec, script string) (*Process, string) {
	t.Helper()
	dir := t.TempDir()
	spec.Scratch = filepath.Join(dir, "scratch")
	spec.Args = []string{"sh", "-c", script}
	spec.Env = append(spec.Env, StateMarker+"="+dir)
	if err := os.Mkdir(spec.Scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	log, err := CreateLog(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	process, err := Start(sandbox(t), spec, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { process.Stop(0) })
	return process, LogPath(dir, 0)
}

// output waits for the container's end and returns what it wrote.
func output(t *testing.T, spec Spec, script string) string {
	t.Helper()
	process, path := startScript(t, spec, script)
	select {
	case <-process.Done():
	case <-time.After(20 * time.Second):
		t.Fatal("the container does not end")
	}
	var text strings.Builder
	if err := ReadLog(t.Context(), path, LogOptions{}, process.Done(), &text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestContainerHasItsOwnWorld(t *testing.T) {
	marker := "/tmp/meshlab-test-" + time.Now().Format("150405.000000000")
	got := output(t, Spec{}, "echo $$; hostname; ls /proc | grep -c '^[0-9]'; touch "+marker+"; ls /tmp; ls -A /run; ls / | grep -c meshlab-host; ls /proc/self/fd | wc -l")
	want := "1\na-pod\n3\n" + filepath.Base(marker) + "\n0\n4\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Stat(marker); !os.IsNotExist(err) {
		t.Errorf("the container wrote to the machine: %v", err)
	}
}

func TestUserCanOpenItsOutputAgain(t *testing.T) {
	spec := Spec{UID: 1337, GID: 1337, Groups: []uint32{4242}, ReadOnlyRoot: true, NoNewPrivileges: true}
	got := output(t, spec, "echo again > /dev/stdout; id; touch /x /tmp/x 2>&1; grep NoNewPrivs /proc/self/status; echo 1 2>&1 > /proc/sys/kernel/panic")
	for _, want := range []string{"again\n", "uid=1337 gid=1337 groups=1337,4242\n", "'/x': Read-only file system", "'/tmp/x': Read-only file system", "NoNewPrivs:\t1"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
}

func TestMountsAreMadeInside(t *testing.T) {
	source := t.TempDir()
	if err := os.WriteFile(filepath.Join(source, "file"), []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	// /var/run is an absolute link to /run: the mount must not end in the machine's.
	spec := Spec{Mounts: []Mount{
		{Source: source, Target: "/var/run/secrets/deep", ReadOnly: true},
		{Source: filepath.Join(source, "file"), Target: "/etc/resolv.conf"},
	}}
	got := output(t, spec, "cat /run/secrets/deep/file; touch /run/secrets/deep/x 2>&1; cat /etc/resolv.conf")
	if want := "content" + "touch: cannot touch '/run/secrets/deep/x': Read-only file system\n" + "content"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Stat("/run/secrets/deep"); !os.IsNotExist(err) {
		t.Errorf("a mount point is on the machine: %v", err)
	}
}

func TestNodeReachesPodAndPodReachesNode(t *testing.T) {
	attached := sandbox(t)
	listener, err := net.Listen("tcp", labtest.NodeIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := attached.Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr(); got != attached.IP {
		t.Errorf("the pod calls from %s, want %s", got, attached.IP)
	}
	var inPod net.Listener
	if err := attached.Do(func() (err error) { inPod, err = net.Listen("tcp", "0.0.0.0:80"); return err }); err != nil {
		t.Fatal(err)
	}
	defer inPod.Close()
	toPod, err := net.DialTimeout("tcp", attached.IP.String()+":80", 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer toPod.Close()
	if got := toPod.LocalAddr().(*net.TCPAddr).IP.String(); got != labtest.NodeIP {
		t.Errorf("the node calls from %s, want %s", got, labtest.NodeIP)
	}
}

func TestStartErrorIsTold(t *testing.T) {
	dir := t.TempDir()
	log, err := CreateLog(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Start(sandbox(t), Spec{Scratch: dir, Args: []string{"no-such-program"}}, log); err == nil || !strings.Contains(err.Error(), "no-such-program") {
		t.Errorf("got %v, want an error that names the program", err)
	}
}

func TestStop(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   int
	}{
		"obeys":   {"trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done", 5},
		"refuses": {"trap '' TERM; echo ready; while :; do sleep 0.05; done", 137},
	} {
		process, path := startScript(t, Spec{}, test.script)
		waitFor(t, path, "ready")
		process.Stop(500 * time.Millisecond)
		if exit, ended := process.Exit(); !ended || exit.Code != test.want {
			t.Errorf("%s: got %+v, %v; want code %d", name, exit, ended, test.want)
		}
	}
}

func waitFor(t *testing.T, path, text string) {
	t.Helper()
	for range 100 {
		content, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(content), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%q does not appear in %s", text, path)
}

func TestExec(t *testing.T) {
	process, path := startScript(t, Spec{UID: 1337, GID: 1337, Env: []string{"COLOR=red"}}, "touch /tmp/mine; echo ready; sleep 60")
	waitFor(t, path, "ready")
	var stdout, stderr strings.Builder
	err := process.Exec(t.Context(), []string{"sh", "-c", "ls /tmp; id -u; echo $COLOR; hostname; cat; echo bad >&2; exit 7"}, Streams{Stdin: strings.NewReader("input\n"), Stdout: &stdout, Stderr: &stderr})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("got %v, want exit code 7", err)
	}
	if got := stdout.String(); got != "mine\n1337\nred\na-pod\ninput\n" || stderr.String() != "bad\n" {
		t.Errorf("got %q, %q", got, stderr.String())
	}
	if err := process.Exec(t.Context(), []string{"no-such-program"}, Streams{}); err == nil {
		t.Error("a program that is not there runs")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := process.Exec(ctx, []string{"sleep", "60"}, Streams{Stdout: io.Discard}); err == nil {
		t.Error("a command outlives its time")
	}
	process.Stop(0)
	if err := process.Exec(t.Context(), []string{"true"}, Streams{}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("after the end: got %v, want ErrNotRunning", err)
	}
}

func TestExecInTerminal(t *testing.T) {
	process, path := startScript(t, Spec{UID: 1337, GID: 1337}, "echo ready; sleep 60")
	waitFor(t, path, "ready")
	sizes := make(chan remotecommand.TerminalSize, 1)
	sizes <- remotecommand.TerminalSize{Width: 99, Height: 33}
	input, keyboard := io.Pipe()
	go func() {
		// The size is set meanwhile; then a line is typed.
		time.Sleep(200 * time.Millisecond)
		_, _ = io.WriteString(keyboard, "hello\n")
	}()
	var screen strings.Builder
	err := process.Exec(t.Context(), []string{"sh", "-c", "tty; read line; stty size; echo got $line; exit 3"},
		Streams{Stdin: input, Stdout: &screen, Terminal: true, Sizes: sizes})
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("got %v, want exit code 3", err)
	}
	// The terminal echoes what is typed.
	if got, want := screen.String(), "/dev/pts/0\r\nhello\r\n33 99\r\ngot hello\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNothingIsLeft(t *testing.T) {
	process, path := startScript(t, Spec{}, "sleep 60 & echo ready; sleep 60")
	waitFor(t, path, "ready")
	stateDir := filepath.Dir(path)
	left, err := leftovers(stateDir)
	if err != nil || len(left) < 2 {
		t.Fatalf("found processes %v, %v; want the container's", left, err)
	}
	if err := KillLeftovers(stateDir); err != nil {
		t.Fatal(err)
	}
	<-process.Done()
	if left, err := leftovers(stateDir); err != nil || len(left) != 0 {
		t.Errorf("still there: %v, %v", left, err)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(mounts), stateDir) {
		t.Errorf("mounts of the container are on the machine: %v", err)
	}
}

func TestThreadsReturnToTheNode(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	attached := sandbox(t)
	for range 20 {
		if err := attached.Do(func() error { return nil }); err != nil {
			t.Fatal(err)
		}
		after, err := os.Readlink("/proc/thread-self/ns/net")
		if err != nil || after != before {
			t.Fatalf("a thread of the program is in %s, want %s: %v", after, before, err)
		}
	}
}
