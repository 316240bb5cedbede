// SPDX-License-Identifier: GPL-3.0-or-later

package node

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// Watcher tells a pod manager what the API server wants of the node.
type Watcher struct {
	pods    informers.SharedInformerFactory
	objects informers.SharedInformerFactory
	// services is read when an environment is built.
	services corelisters.ServiceLister
}

// PodManager is what a Watcher feeds.
type PodManager interface {
	Set(pod *corev1.Pod)
	Remove(uid types.UID)
	Changed(kind, namespace, name string)
}

// NewWatcher prepares watches of the node's pods, and of all Services,
// ConfigMaps and Secrets.
func (n *Node) NewWatcher() *Watcher {
	onNode := fields.OneTermEqualSelector("spec.nodeName", n.Name).String()
	objects := informers.NewSharedInformerFactory(n.Client, 0)
	return &Watcher{
		pods: informers.NewSharedInformerFactoryWithOptions(n.Client, 0,
			informers.WithTweakListOptions(func(options *metav1.ListOptions) { options.FieldSelector = onNode })),
		objects:  objects,
		services: objects.Core().V1().Services().Lister(),
	}
}

// Services lists the Services of a namespace as last seen.
func (w *Watcher) Services(namespace string) ([]*corev1.Service, error) {
	return w.services.Services(namespace).List(labels.Everything())
}

// Start begins to watch until ctx ends. It returns when all has been read once.
func (w *Watcher) Start(ctx context.Context, manager PodManager) error {
	changed := func(kind string) func(object any) {
		return func(object any) {
			if accessor, err := meta.Accessor(object); err == nil {
				manager.Changed(kind, accessor.GetNamespace(), accessor.GetName())
			}
		}
	}
	core := w.objects.Core().V1()
	for kind, informer := range map[string]cache.SharedIndexInformer{
		"ConfigMap": core.ConfigMaps().Informer(),
		"Secret":    core.Secrets().Informer(),
	} {
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			AddFunc:    changed(kind),
			UpdateFunc: func(_, object any) { changed(kind)(object) },
		})
		if err != nil {
			return fmt.Errorf("watch %ss: %w", kind, err)
		}
	}
	if err := sync(ctx, w.objects); err != nil {
		return err
	}
	_, err := w.pods.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { manager.Set(object.(*corev1.Pod)) },
		UpdateFunc: func(_, object any) { manager.Set(object.(*corev1.Pod)) },
		DeleteFunc: func(object any) {
			// The watch may have missed the deletion itself.
			if missed, is := object.(cache.DeletedFinalStateUnknown); is {
				object = missed.Obj
			}
			if pod, is := object.(*corev1.Pod); is {
				manager.Remove(pod.UID)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	return sync(ctx, w.pods)
}

func sync(ctx context.Context, factory informers.SharedInformerFactory) error {
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return errors.Join(ctx.Err(), fmt.Errorf("cannot list %s", kind.Elem().Name()))
		}
	}
	return nil
}
