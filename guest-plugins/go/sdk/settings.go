package nozzle

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// decode reads settings over what is there. Errors name keys as the user has written them.
func decode(config string, settings any) error {
	var written map[string]json.RawMessage
	if err := json.Unmarshal([]byte(config), &written); err != nil {
		return explain(err)
	}
	known := keys(reflect.TypeOf(settings).Elem())
	// The decoder would take `Target` for `target`.
	for _, key := range slices.Sorted(maps.Keys(written)) {
		if known != nil && !slices.Contains(known, key) {
			return fmt.Errorf("unknown field `%s`, %s", key, expected(known))
		}
	}
	decoder := json.NewDecoder(strings.NewReader(config))
	decoder.DisallowUnknownFields()
	return explain(decoder.Decode(settings))
}

func explain(err error) error {
	var wrong *json.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("`%s` has a %s, expected %s", wrong.Field, wrong.Value, wrong.Type)
	case errors.As(err, &wrong):
		return fmt.Errorf("the settings are of type %s, expected keys and values", wrong.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// keys has the names that a struct's settings go by; none for what is no struct.
func keys(settings reflect.Type) []string {
	if settings.Kind() != reflect.Struct {
		return nil
	}
	names := []string{}
	for at := range settings.NumField() {
		field := settings.Field(at)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || !field.IsExported():
		case name == "":
			names = append(names, field.Name)
		default:
			names = append(names, name)
		}
	}
	return names
}

func expected(known []string) string {
	if len(known) == 0 {
		return "there are no settings"
	}
	quoted := make([]string, len(known))
	for at, name := range known {
		quoted[at] = "`" + name + "`"
	}
	last := len(quoted) - 1
	if last == 0 {
		return "expected " + quoted[0]
	}
	return "expected " + strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
