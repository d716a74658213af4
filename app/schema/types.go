package schema

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

func (t types) has(v any) bool {
	switch v := v.(type) {
	case nil:
		return t&typeNull != 0
	case bool:
		return t&typeBool != 0
	case string:
		return t&typeString != 0
	case *array:
		return t&typeArray != 0
	case *object:
		return t&typeObject != 0
	case int64:
		return t&typeInteger != 0
	default:
		if t&typeInteger != 0 && t&typeFraction != 0 {
			return true
		}
		return t&typeInteger != 0 && isInteger(v) || t&typeFraction != 0 && !isInteger(v)
	}
}
