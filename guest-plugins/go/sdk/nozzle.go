// Package nozzle is for plugins of Nozzle, which turn batches of records into HTTP requests:
//
//	type lines struct{}
//
//	func (lines) Shape(batch nozzle.Batch) (nozzle.Shaped, error) {
//		return nozzle.Shaped{Requests: []nozzle.Request{{
//			Target: "ingest",
//			Body:   nozzle.Joined{Separator: "\n", Suffix: "\n"},
//			Events: batch.Indices(),
//		}}}, nil
//	}
//
//	func init() {
//		nozzle.Export(nozzle.NoSettings{}, func(nozzle.NoSettings) (nozzle.Plugin, error) { return lines{}, nil })
//	}
//
//	func main() {}
//
// A plugin that judges responses itself uses handling.Export in its place.
package nozzle

import "errors"

// Plugin turns batches into requests. There is one of it in each instance, and it is called by one caller at a time.
type Plugin interface {
	// Shape says what each event of the batch becomes. An error is for a batch that cannot be shaped at all: the host
	// halves it until the record at fault stands alone. To refuse one record, reject it.
	Shape(batch Batch) (Shaped, error)
}

// NoSettings is for a plugin without settings.
type NoSettings struct{}

var (
	create  func(config string) (Plugin, error)
	current Plugin
)

// Export makes a plugin of what `create` makes: call it in `init`, once. The settings of the sink (`plugin.config`)
// are read over `defaults`, by the struct's `json` tags; a key that is not there refuses the plugin.
func Export[S any, P Plugin](defaults S, construct func(settings S) (P, error)) {
	if create != nil {
		panic("nozzle: there is a plugin already")
	}
	create = func(config string) (Plugin, error) { return Configure(config, defaults, construct) }
	hostReady()
}

// Configure makes the plugin as the host would, from `plugin.config` as JSON. Tests use it.
func Configure[S any, P Plugin](config string, defaults S, construct func(settings S) (P, error)) (P, error) {
	if err := decode(config, &defaults); err != nil {
		var none P
		return none, err
	}
	return construct(defaults)
}

var errNoPlugin = errors.New("the plugin calls neither nozzle.Export nor handling.Export in `init`")

// Current is for the SDK itself: the plugin of this instance, nil before it is configured.
func Current() Plugin { return current }

func configure(config string) error {
	if create == nil {
		return errNoPlugin
	}
	plugin, err := create(config)
	current = plugin
	return err
}
