package strict

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

// Field is one key of a struct, as its tags describe it.
type Field struct {
	Name       string
	Index      []int
	Type       reflect.Type
	Default    string // `default:"..."`
	HasDefault bool
	Doc        string   // `doc:"..."`: the meaning, for the reference and for "missing"
	Required   bool     // `required:"true"`
	oneof      []string // `oneof:"a b c"`, also for the entries of a list
	min, max   string   // `min:"1" max:"9"`; of a list: its number of entries
	bytes      bool     // `unit:"bytes"`: an int that takes 1MiB, for packages that cannot import ByteSize
	dash       bool     // an entry of a list
	hidePath   bool     // `secret:"path"`: Redacted shows scheme and host of the URL alone
	hide       bool     // Secret, or `secret:"true"`: Redacted shows no value
}

func (f Field) isSecret() bool { return f.Type == secretType }

// known remembers what tags say, by reflect.Type. It never changes, and every
// destination asks: to read it anew was half the CPU of a reload with a thousand.
var known sync.Map

// FieldsOf lists the keys of struct type t. The list is not to be written to.
func FieldsOf(t reflect.Type) []Field {
	if fields, ok := known.Load(t); ok {
		return fields.([]Field)
	}
	fields := readFields(t)
	known.Store(t, fields)
	return fields
}

// readFields reads the tags of t. An embedded struct without a tag gives its keys to
// the outer one. A wrong tag is a mistake of the programmer, so it panics where the
// value is used.
func readFields(t reflect.Type) []Field {
	var fields []Field
	for i := range t.NumField() {
		sf := t.Field(i)
		tag, tagged := sf.Tag.Lookup("yaml")
		name, _, _ := strings.Cut(tag, ",")
		if sf.Anonymous && !tagged && sf.Type.Kind() == reflect.Struct {
			for _, f := range FieldsOf(sf.Type) {
				f.Index = append([]int{i}, f.Index...)
				fields = append(fields, f)
			}
			continue
		}
		if !sf.IsExported() || name == "" || name == "-" {
			continue
		}
		f := Field{
			Name: name, Index: []int{i}, Type: sf.Type,
			Doc: sf.Tag.Get("doc"), Required: sf.Tag.Get("required") == "true",
			oneof: strings.Fields(sf.Tag.Get("oneof")),
			min:   sf.Tag.Get("min"), max: sf.Tag.Get("max"),
			bytes:    sf.Tag.Get("unit") == "bytes" || sf.Type == byteSizeType,
			hidePath: sf.Tag.Get("secret") == "path",
			hide:     sf.Type == secretType || sf.Tag.Get("secret") == "true",
		}
		f.Default, f.HasDefault = sf.Tag.Lookup("default")
		fields = append(fields, f)
	}
	return fields
}

// elem is the field of an entry of a list or map.
func (f Field) elem() Field {
	return Field{
		Name: f.Name, Type: f.Type.Elem(), oneof: f.oneof, bytes: f.bytes || f.Type.Elem() == byteSizeType,
		hide: f.hide || f.Type.Elem() == secretType,
	}
}

// SetDefaults fills in the default tags of the struct v and of those inside it.
func SetDefaults(v reflect.Value) {
	for _, f := range FieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.Index)
		if f.HasDefault {
			if err := SetScalar(fv, f.Default, f); err != nil {
				panic(fmt.Sprintf("config: default tag of %s.%s: %q %v", v.Type(), f.Name, f.Default, err))
			}
		} else if fv.Kind() == reflect.Struct {
			SetDefaults(fv)
		}
	}
}

// KeysOf lists the keys a mapping for these fields may have. Each secret may
// be given by the path of a file instead.
func KeysOf(fields []Field) []string {
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.Name)
		if f.isSecret() {
			keys = append(keys, f.Name+"_file")
		}
	}
	return keys
}

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// JoinPath is the path of a key below path.
func JoinPath(path, key string) string {
	if !simpleKey.MatchString(key) {
		return fmt.Sprintf("%s[%s]", path, Quote(key))
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// Quote shows a piece of the file on one line and of bounded length.
func Quote(s string) string {
	const longest = 80
	if r := []rune(s); len(r) > longest {
		s = string(r[:longest]) + "..."
	}
	return fmt.Sprintf("%q", s)
}

// Unknown is the message for a key that is none of keys.
func Unknown(key string, keys []string) string {
	if near := textfile.Nearest(key, keys, 1+len(key)/4); near != "" {
		return fmt.Sprintf("unknown key; did you mean %q?", near)
	}
	return "unknown key; delete it, or write one of " + strings.Join(keys, ", ")
}
