package nozzle

import (
	"encoding/json"
	"slices"
	"testing"
)

type probe struct {
	TargetPath string          `json:"target-path"`
	Sizes      []uint16        `json:"sizes"`
	Extra      json.RawMessage `json:"extra"`
	Nested     struct {
		On bool `json:"on"`
	} `json:"nested"`
}

func (p probe) Shape(Batch) (Shaped, error) { return Shaped{}, nil }

func configureProbe(config string) (probe, error) {
	defaults := probe{TargetPath: "items", Sizes: []uint16{7}}
	return Configure(config, defaults, func(settings probe) (probe, error) { return settings, nil })
}

func TestNoSettingsMeanTheDefaults(t *testing.T) {
	for _, config := range []string{"null", "{}"} {
		found, err := configureProbe(config)

		if err != nil || found.TargetPath != "items" || !slices.Equal(found.Sizes, []uint16{7}) {
			t.Errorf("%s: %+v, %v", config, found, err)
		}
	}
}

func TestSettingsAreReadOverTheDefaults(t *testing.T) {
	found, err := configureProbe(`{"sizes":[1,2],"extra":{"a":1},"nested":{"on":true}}`)

	if err != nil || found.TargetPath != "items" || !slices.Equal(found.Sizes, []uint16{1, 2}) ||
		string(found.Extra) != `{"a":1}` || !found.Nested.On {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestSettingsThatMakeNoSenseAreRefusedInTheUsersWords(t *testing.T) {
	table := map[string]string{
		`{"targetpath":"x"}`:  "unknown field `targetpath`, expected `target-path`, `sizes`, `extra` or `nested`",
		`{"Target-Path":"x"}`: "unknown field `Target-Path`, expected `target-path`, `sizes`, `extra` or `nested`",
		`{"nested":{"of":1}}`: "unknown field \"of\"",
		`{"target-path":1}`:   "`target-path` has a number, expected string",
		`{"sizes":["x"]}`:     "`sizes` has a string, expected uint16",
		`{"sizes":[70000]}`:   "`sizes` has a number 70000, expected uint16",
		`[1]`:                 "the settings are of type array, expected keys and values",
		`{`:                   "unexpected end of JSON input",
	}
	for config, expected := range table {
		_, err := configureProbe(config)

		if err == nil || err.Error() != expected {
			t.Errorf("%s: found %v, expected %s", config, err, expected)
		}
	}
}
