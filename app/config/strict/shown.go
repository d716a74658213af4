package strict

import (
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"eventserver/destinations"
)

// Text is a single value.
func Text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

// Shown is the struct v as YAML, with secrets hidden.
func Shown(v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, f := range FieldsOf(v.Type()) {
		fv := v.FieldByIndex(f.Index)
		switch fv.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			if fv.IsNil() {
				continue
			}
		}
		n.Content = append(n.Content, Text(f.Name), redactValue(fv, f))
	}
	if o, ok := v.Interface().(Open); ok {
		if more := o.Others(); more != nil {
			n.Content = append(n.Content, more.Content...)
		}
	}
	return n
}

func redactValue(v reflect.Value, f Field) *yaml.Node {
	switch v.Kind() {
	case reflect.Pointer:
		return redactValue(v.Elem(), f)
	case reflect.Struct:
		return Shown(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, redactValue(v.Index(i), f.elem()))
		}
		if v.Len() > 0 && v.Type().Elem().Kind() == reflect.Struct {
			n.Style = 0
		}
		return n
	case reflect.Map:
		n := &yaml.Node{Kind: yaml.MappingNode}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			e := f.elem()
			e.hide = e.hide || sensitiveKey.MatchString(k.String())
			n.Content = append(n.Content, Text(k.String()), redactValue(v.MapIndex(k), e))
		}
		if len(keys) == 0 {
			n.Style = yaml.FlowStyle
		}
		return n
	case reflect.String:
		if f.hide && v.String() != "" {
			return Text(hiddenText)
		}
		return Text(redactURL(v.String(), f.hidePath))
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: Format(v, f)}
	}
}

// sensitiveKey finds the names of headers that authenticate, in a map whose
// type cannot say so.
var sensitiveKey = regexp.MustCompile(`(?i)auth|token|key|secret|passw|cookie|signature|credential`)

// redactURL hides what may authenticate in a URL: its password and query, and
// what looks like a token in its path, or the whole path.
func redactURL(s string, wholePath bool) string {
	if !strings.Contains(s, "://") {
		return s
	}
	u, err := url.Parse(s)
	if err != nil {
		return hiddenText
	}
	parts := strings.Split(u.EscapedPath(), "/")
	hidden := false
	for i, part := range parts {
		if part != "" && (wholePath || destinations.LooksSecret(part)) {
			parts[i], hidden = hiddenText, true
		}
	}
	if u.User == nil && u.RawQuery == "" && u.Fragment == "" && !hidden {
		return s
	}
	shown := u.Scheme + "://"
	if u.User != nil {
		shown += hiddenText + "@"
	}
	shown += u.Host + strings.Join(parts, "/")
	if u.RawQuery != "" {
		shown += "?" + hiddenText
	}
	return shown
}
