package config

import (
	"eventserver/app/config/strict"
	"reflect"
)

// Differences lists the keys whose effective values differ between c and o, as
// paths in the order of the file: "http.addr". A list or a map is one key.
// Destinations are left out: they have ids, and settings that only their kinds
// can compare. No value is shown.
func (c *Config) Differences(o *Config) []string {
	return differences("", reflect.ValueOf(c).Elem(), reflect.ValueOf(o).Elem())
}

func differences(path string, a, b reflect.Value) []string {
	var out []string
	for _, f := range strict.FieldsOf(a.Type()) {
		x, y := a.FieldByIndex(f.Index), b.FieldByIndex(f.Index)
		at := strict.JoinPath(path, f.Name)
		if f.Type == reflect.TypeFor[[]Destination]() {
			continue
		}
		if x.Kind() == reflect.Pointer && !x.IsNil() && !y.IsNil() {
			x, y = x.Elem(), y.Elem()
		}
		switch {
		case x.Kind() == reflect.Struct:
			out = append(out, differences(at, x, y)...)
			if s, t := settingsOf(x), settingsOf(y); s != nil && t != nil && !reflect.DeepEqual(s.value, t.value) {
				out = append(out, at) // of its kind alone
			}
		case !reflect.DeepEqual(x.Interface(), y.Interface()):
			out = append(out, at)
		}
	}
	return out
}
