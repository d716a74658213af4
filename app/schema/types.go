package schema

import "strings"

// types is a set of JSON's types. A number is an integer or it is not, so that
// "number" is both.
type types uint8

const (
	typeNull types = 1 << iota
	typeBool
	typeInteger
	typeFraction
	typeString
	typeArray
	typeObject
	anyType = typeNull | typeBool | typeInteger | typeFraction | typeString | typeArray | typeObject
)

var typeBits = map[string]types{
	"null": typeNull, "boolean": typeBool, "integer": typeInteger, "number": typeInteger | typeFraction,
	"string": typeString, "array": typeArray, "object": typeObject,
}

var typeOrder = []string{"null", "boolean", "number", "integer", "string", "array", "object"}

func (t types) String() string {
	if t == anyType {
		return "anything"
	}
	var names []string
	for _, name := range typeOrder {
		if bits := typeBits[name]; t&bits == bits {
			names = append(names, name)
			t &^= bits
		}
	}
	if t&typeFraction != 0 {
		names = append(names, "fraction")
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
