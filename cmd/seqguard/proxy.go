package main

import (
	"context"
	"errors"
	"flag"
)

var proxyCommand = command{
	name: "proxy", short: "stands in front of a server and says what goes wrong on the connections through it",
	setup: func(fs *flag.FlagSet) func(context.Context, []string, streams) error {
		return func(context.Context, []string, streams) error { return errors.New("not there yet") }
	},
}
