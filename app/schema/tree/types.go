package tree

import "strings"

// Types is a set of JSON's types. A number is an integer or it is not, so that
// "number" is both.
type Types uint8

// The types.
const (
	TypeNull Types = 1 << iota
	TypeBool
	TypeInteger
	TypeFraction
	TypeString
	TypeArray
	TypeObject
	AnyType = TypeNull | TypeBool | TypeInteger | TypeFraction | TypeString | TypeArray | TypeObject
)

// TypeBits are the sets that the names of types stand for.
var TypeBits = map[string]Types{
	"null": TypeNull, "boolean": TypeBool, "integer": TypeInteger, "number": TypeInteger | TypeFraction,
	"string": TypeString, "array": TypeArray, "object": TypeObject,
}

// TypeOrder is the order in which messages name the types.
var TypeOrder = []string{"null", "boolean", "number", "integer", "string", "array", "object"}

func (t Types) String() string {
	if t == AnyType {
		return "anything"
	}
	var names []string
	for _, name := range TypeOrder {
		if bits := TypeBits[name]; t&bits == bits {
			names = append(names, name)
			t &^= bits
		}
	}
	if t&TypeFraction != 0 {
		names = append(names, "fraction")
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}
