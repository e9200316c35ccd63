// A Vault server for tests: Vault's own core, HTTP API and transit engine, which keep everything in memory. It differs from
// `vault server` in what it leaves out, which takes an hour to build: the plugins for clouds and databases.
//
// It listens where its only argument says, over plain HTTP, and is to be initialized and unsealed by its clients.
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

const engine = "transit"

// What is built in: the one engine.
type builtin struct{}

func (builtin) Contains(name string, kind consts.PluginType) bool {
	return name == engine && kind == consts.PluginTypeSecrets
}

func (b builtin) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	factory := func() (interface{}, error) { return logical.Factory(transit.Factory), nil }
	return factory, b.Contains(name, kind)
}

func (b builtin) Keys(kind consts.PluginType) []string {
	if b.Contains(engine, kind) {
		return []string{engine}
	}
	return nil
}

func (b builtin) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, b.Contains(name, kind)
}

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "certfleet-test-vault:", err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("an address to listen at is due")
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	physical, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:        physical,
		DisableMlock:    true,
		Logger:          logger,
		LogicalBackends: map[string]logical.Factory{engine: transit.Factory},
		BuiltinRegistry: builtin{},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	return http.Serve(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core}))
}
