// Kubernetes' own API server and controllers, in one program: what the metrics adapter stands before in a cluster.
//
//	certfleet-test-kubernetes kube-apiserver FLAGS...
//	certfleet-test-kubernetes kube-controller-manager FLAGS...
package main

import (
	"fmt"
	"os"

	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "kube-apiserver or kube-controller-manager is due")
		os.Exit(2)
	}
	command := apiserver.NewAPIServerCommand()
	if os.Args[1] == "kube-controller-manager" {
		command = controllers.NewControllerManagerCommand()
	}
	os.Args = os.Args[1:]
	os.Exit(cli.Run(command))
}
