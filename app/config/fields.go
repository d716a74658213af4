package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"time"

	"eventserver/app/textfile"
	"eventserver/destinations"
)

var (
	secretType   = reflect.TypeFor[destinations.Secret]()
	durationType = reflect.TypeFor[time.Duration]()
	byteSizeType = reflect.TypeFor[ByteSize]()
)

const hiddenText = "[secret]"

// field is one key of a struct, as its tags describe it.
type field struct {
	name     string
	index    []int
	typ      reflect.Type
	def      string // `default:"..."`
	hasDef   bool
	doc      string   // `doc:"..."`: the meaning, for the reference and for "missing"
	required bool     // `required:"true"`
	oneof    []string // `oneof:"a b c"`, also for the entries of a list
	min, max string   // `min:"1" max:"9"`; of a list: its number of entries
	bytes    bool     // `unit:"bytes"`: an int that takes 1MiB, for packages that cannot import ByteSize
	dash     bool     // an entry of a list
	hidePath bool     // `secret:"path"`: Redacted shows scheme and host of the URL alone
	hide     bool     // Secret, or `secret:"true"`: Redacted shows no value
}

func (f field) isSecret() bool { return f.typ == secretType }

// known remembers what tags say, by reflect.Type. It never changes, and every
// destination asks: to read it anew was half the CPU of a reload with a thousand.
var known sync.Map

// fieldsOf lists the keys of struct type t. The list is not to be written to.
func fieldsOf(t reflect.Type) []field {
	if fields, ok := known.Load(t); ok {
		return fields.([]field)
	}
	fields := readFields(t)
	known.Store(t, fields)
	return fields
}

// readFields reads the tags of t. An embedded struct without a tag gives its keys to
// the outer one. A wrong tag is a mistake of the programmer, so it panics where the
// value is used.
func readFields(t reflect.Type) []field {
	var fields []field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		name, _, _ := strings.Cut(tag, ",")
		if sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct {
			for _, f := range fieldsOf(sf.Type) {
				f.index = append([]int{i}, f.index...)
				fields = append(fields, f)
			}
			continue
		}
		if !sf.IsExported() || name == "" || name == "-" {
			continue
		}
		f := field{
			name: name, index: []int{i}, typ: sf.Type,
			doc: sf.Tag.Get("doc"), required: sf.Tag.Get("required") == "true",
			oneof: strings.Fields(sf.Tag.Get("oneof")),
			min:   sf.Tag.Get("min"), max: sf.Tag.Get("max"),
			bytes:    sf.Tag.Get("unit") == "bytes" || sf.Type == byteSizeType,
			hidePath: sf.Tag.Get("secret") == "path",
			hide:     sf.Type == secretType || sf.Tag.Get("secret") == "true",
		}
		f.def, f.hasDef = sf.Tag.Lookup("default")
		fields = append(fields, f)
	}
	return fields
}

// elem is the field of an entry of a list or map.
func (f field) elem() field {
	return field{
		name: f.name, typ: f.typ.Elem(), oneof: f.oneof, bytes: f.bytes || f.typ.Elem() == byteSizeType,
		hide: f.hide || f.typ.Elem() == secretType,
	}
}

// setDefaults fills in the default tags of the struct v and of those inside it.
func setDefaults(v reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.index)
		if f.hasDef {
			if err := setScalar(fv, f.def, f); err != nil {
				panic(fmt.Sprintf("config: default tag of %s.%s: %q %v", v.Type(), f.name, f.def, err))
			}
		} else if fv.Kind() == reflect.Struct {
			setDefaults(fv)
		}
	}
}

// keysOf lists the keys a mapping for these fields may have. Each secret may
// be given by the path of a file instead.
func keysOf(fields []field) []string {
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.name)
		if f.isSecret() {
			keys = append(keys, f.name+"_file")
		}
	}
	return keys
}

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

func joinPath(path, key string) string {
	if !simpleKey.MatchString(key) {
		return fmt.Sprintf("%s[%s]", path, quote(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// quote shows a piece of the file on one line and of bounded length.
func quote(s string) string {
	const longest = 80
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	return fmt.Sprintf("%q", s)
}

// unknown is the message for a key that is none of keys.
func unknown(key string, keys []string) string {
	if near := textfile.Nearest(key, keys, 1+len(key)/4); near != "" {
		return fmt.Sprintf("unknown key; did you mean %q?", near)
	}
	return "unknown key; delete it, or write one of " + strings.Join(keys, ", ")
}
