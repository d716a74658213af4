package strict

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"eventserver/app/textfile"
)

// ByteSize is a number of bytes. In YAML: a plain number, or one with B, KiB,
// MiB, GiB or TiB.
type ByteSize int64

// Sizes in bytes.
const (
	KiB ByteSize = 1 << 10
	MiB ByteSize = 1 << 20
	GiB ByteSize = 1 << 30
	TiB ByteSize = 1 << 40
)

var byteUnits = []struct {
	name string
	size ByteSize
}{{"TiB", TiB}, {"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// String is the size in the largest unit that needs no fraction.
func (b ByteSize) String() string {
	for _, u := range byteUnits[:4] {
		if b != 0 && b%u.size == 0 {
			return strconv.FormatInt(int64(b/u.size), 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

var sizeRE = regexp.MustCompile(`^([0-9]+)(?: ?([A-Za-z]+))?$`)

// ParseByteSize reads "1MiB", "512 KiB" or "1048576".
func ParseByteSize(s string) (ByteSize, error) {
	bad := errors.New(`is not a size; write bytes as a number, or 512KiB, 1MiB, 2GiB`)
	m := sizeRE.FindStringSubmatch(s)
	if m == nil {
		return 0, bad
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	unit := ByteSize(0)
	for _, u := range byteUnits {
		if m[2] == u.name {
			unit = u.size
		}
	}
	if m[2] == "" {
		unit = 1
	}
	if unit == 0 { // KB and MB mean two things; k and m many
		return 0, bad
	}
	if err != nil || n > math.MaxInt64/int64(unit) {
		return 0, errors.New("is too large a size; write a smaller one")
	}
	return ByteSize(n) * unit, nil
}

// FormatDuration is Duration.String without the zero parts: 168h, not 168h0m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// SetScalar parses text into v. The error says what text is not and the cure;
// it does not hold text.
func SetScalar(v reflect.Value, text string, f Field) error {
	switch {
	case v.Type() == durationType:
		d, err := time.ParseDuration(text)
		if err != nil {
			return errors.New(`is not a duration; write a number with its unit, such as 500ms, 30s or 1h30m`)
		}
		v.SetInt(int64(d))
	case f.bytes && v.CanInt():
		b, err := ParseByteSize(text)
		if err != nil {
			return err
		}
		if v.OverflowInt(int64(b)) {
			return errors.New("is too large a size; write a smaller one")
		}
		v.SetInt(int64(b))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("is not true or false; write one of the two")
		}
		v.SetBool(text == "true")
	case v.CanInt():
		n, err := strconv.ParseInt(text, 10, 64)
		if errors.Is(err, strconv.ErrRange) || err == nil && v.OverflowInt(n) {
			return errors.New("is out of range; write a number nearer to 0")
		}
		if err != nil {
			return errors.New("is not a whole number; write one such as 10")
		}
		v.SetInt(n)
	case v.CanUint():
		n, err := strconv.ParseUint(text, 10, 64)
		if errors.Is(err, strconv.ErrRange) || err == nil && v.OverflowUint(n) {
			return errors.New("is out of range; write a smaller number")
		}
		if err != nil {
			return errors.New("is not a whole number from 0; write one such as 10")
		}
		v.SetUint(n)
	case v.CanFloat():
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(text, "xX_") {
			return errors.New("is not a number; write one such as 10 or 0.5")
		}
		v.SetFloat(n)
	default:
		panic(fmt.Sprintf("config: key %s: type %s is not supported", f.Name, v.Type()))
	}
	return nil
}

// Format is the text of a scalar in YAML and in messages.
func Format(v reflect.Value, f Field) string {
	switch {
	case v.Type() == durationType:
		return FormatDuration(time.Duration(v.Int()))
	case f.bytes && v.CanInt():
		return ByteSize(v.Int()).String()
	case v.CanFloat():
		return strconv.FormatFloat(v.Float(), 'f', -1, 64)
	}
	return fmt.Sprint(v.Interface())
}

// CheckLimits applies min, max and oneof to a scalar; shown is how the file
// writes it.
func CheckLimits(v reflect.Value, f Field, shown string) error {
	if len(f.oneof) > 0 && v.Kind() == reflect.String {
		for _, w := range f.oneof {
			if v.String() == w {
				return nil
			}
		}
		if len(f.oneof) == 1 {
			return fmt.Errorf("%s is not %s; write that, or delete the key", shown, f.oneof[0])
		}
		msg := fmt.Sprintf("%s is not one of %s", shown, strings.Join(f.oneof, ", "))
		if near := textfile.Nearest(v.String(), f.oneof, 2); near != "" {
			return fmt.Errorf("%s; did you mean %q?", msg, near)
		}
		return fmt.Errorf("%s; write one of these", msg)
	}
	if f.min != "" && less(v, limit(v, f, f.min)) {
		return fmt.Errorf("%s is less than %s; give %s or more", Format(v, f), f.min, f.min)
	}
	if f.max != "" && less(limit(v, f, f.max), v) {
		return fmt.Errorf("%s is more than %s; give %s or less", Format(v, f), f.max, f.max)
	}
	return nil
}

func limit(v reflect.Value, f Field, text string) reflect.Value {
	l := reflect.New(v.Type()).Elem()
	if err := SetScalar(l, text, f); err != nil {
		panic(fmt.Sprintf("config: min or max tag of %s: %q %v", f.Name, text, err))
	}
	return l
}

func less(a, b reflect.Value) bool {
	switch {
	case a.CanInt():
		return a.Int() < b.Int()
	case a.CanUint():
		return a.Uint() < b.Uint()
	case a.CanFloat():
		return a.Float() < b.Float()
	}
	return false
}
