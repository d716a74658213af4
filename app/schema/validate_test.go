package schema

import (
	"errors"
	"eventserver/app/schema/tree"
	"strings"
	"testing"
	"unicode/utf8"
)

const signupEvent = `{"userId":"u-1","email":"ada@example.com","plan":"free","signedUpAt":"2026-01-31T12:00:00Z"}`

// with is event with the members of more in front.
func with(event, more string) string { return "{" + more + "," + event[1:] }

// swap replaces a part that must be there.
func swap(t *testing.T, event, old, new string) string {
	t.Helper()
	if !strings.Contains(event, old) {
		t.Fatalf("%s is not in %s", old, event)
	}
	return strings.Replace(event, old, new, 1)
}

func nested(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }

func TestValidateRefuses(t *testing.T) {
	t.Parallel()
	reg := example(t)
	order := func(old, new string) string { return swap(t, orderEvent, old, new) }
	signup := func(old, new string) string { return swap(t, signupEvent, old, new) }
	for _, tt := range []struct{ name, typ, data, want string }{
		// JSON
		{"empty", "order.placed", ``, `json: is empty; send one JSON object`},
		{"blank", "order.placed", " \n", `json: is empty; send one JSON object`},
		{"garbage", "order.placed", `hello`, `json: not valid JSON at byte 0: a value is expected, not 'h'`},
		{"cut off", "order.placed", orderEvent[:40], `/orderId: json: the JSON ends too early, at byte 40; send it whole`},
		{"cut off in a list", "order.placed", `{"lines":[{"sku":`, `/lines/0/sku: json: the JSON ends too early, at byte 17; send it whole`},
		{"trailing object", "order.placed", orderEvent + "{}", `json: has more data after the JSON value; send one object`},
		{"trailing garbage", "order.placed", orderEvent + "x", `json: has more data after the JSON value; send one object`},
		{"comma at the end", "order.placed", order(`"currency":"EUR"}}`, `"currency":"EUR",}}`), `/lines/0/price: json: not valid JSON at byte 196: a value is expected, not ','`},
		{"byte order mark", "order.placed", "\xef\xbb\xbf" + orderEvent, `json: not valid JSON at byte 0: a value is expected, not '\ufeff'`},
		{"duplicate name", "order.placed", with(orderEvent, `"total":1`), `/total: json: is given more than once; send each name once`},
		{"duplicate name by escape", "order.placed", with(orderEvent, `"\u0074otal":1`), `/total: json: is given more than once; send each name once`},
		{"duplicate name nested", "order.placed", order(`"sku":"BOOK-1"`, `"sku":"BOOK-1","sku":"BOOK-1"`), `/lines/0/sku: json: is given more than once; send each name once`},
		{"duplicate name of the envelope", "order.placed", with(orderEvent, `"id":"a","id":"b"`), `/id: json: is given more than once; send each name once`},
		{"invalid UTF-8", "order.placed", order(`"ada"`, "\"a\xffa\""), `/customerId: json: invalid UTF-8 at byte 65; send the event encoded as UTF-8`},
		{"invalid UTF-8 in a name", "order.placed", with(orderEvent, "\"a\xff\":1"), `json: invalid UTF-8 at byte 3; send the event encoded as UTF-8`},
		{"half a surrogate", "order.placed", order(`"ada"`, `"\ud800"`), `/customerId: json: not valid JSON at byte 64: a string has half of a surrogate pair (\ud800 to \udfff); write both halves, or the character`},
		{"control character", "order.placed", order(`"ada"`, "\"a\nb\""), `/customerId: json: not valid JSON at byte 65: a control character stands in a string; escape it, a line break as \n`},
		{"leading zero", "order.placed", order(`"quantity":2`, `"quantity":02`), `/lines/0: json: not valid JSON at byte 156: a comma or } is expected, not '2'`},
		{"not a number", "order.placed", order(`"quantity":2`, `"quantity":NaN`), `/lines/0/quantity: json: not valid JSON at byte 155: a value is expected, not 'N'`},
		{"too deep", "order.placed", with(orderEvent, `"a":`+nested(64)), `/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a: json: is nested more than 64 levels deep; flatten the event`},
		{"too deep in the envelope", "order.placed", with(orderEvent, `"id":`+nested(5000)), `/id/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a: json: is nested more than 64 levels deep; flatten the event`},
		{"huge exponent", "order.placed", order(`"quantity":2`, `"quantity":1e1000000`), `/lines/0/quantity: json: is a number of too many digits; write at most 1000 digits and an exponent between -1000 and 1000`},
		{"endless digits", "order.placed", order(`"quantity":2`, `"quantity":`+strings.Repeat("9", 1001)), `/lines/0/quantity: json: is a number of too many digits; write at most 1000 digits and an exponent between -1000 and 1000`},
		{"too many values", "order.placed", with(orderEvent, `"a":[`+strings.Repeat("1,", 20_000)+`1]`), `json: the event holds more than 20000 values; split it`},

		// the event itself
		{"array", "order.placed", "[" + orderEvent + "]", `type: must be an object but is an array`},
		{"null", "order.placed", `null`, `type: must be an object but is null`},
		{"text", "order.placed", `"` + strings.Repeat("x", 500) + `"`, `type: must be an object but is a string`},
		{"nothing in it", "order.placed", `{}`, `required: "orderId" is missing (and 5 more)`},

		// order.placed
		{"missing", "order.placed", order(`"customerId":"ada",`, ``), `required: "customerId" is missing`},
		{"missing in an item", "order.placed", order(`"quantity":2,`, ``), `/lines/0: required: "quantity" is missing`},
		{"extra", "order.placed", with(orderEvent, `"colour":"red"`), `/colour: additionalProperties: is not a declared property; declared are "coupons", "customerId", "lines", "note", "orderId", "placedAt", "shipping", "status", "total"`},
		{"extra with a slip", "order.placed", with(orderEvent, `"coupon":["SPRING"]`), `/coupon: additionalProperties: is not a declared property; did you mean "coupons"?`},
		{"extra nested", "order.placed", order(`"amount":2500`, `"amount":2500,"tax":1`), `/total/tax: additionalProperties: is not a declared property; declared are "amount", "currency"`},
		{"extra with an odd name", "order.placed", with(orderEvent, `"a/b~c\n":1`), `"/a~1b~0c\n": additionalProperties: is not a declared property; declared are "coupons", "customerId", "lines", "note", "orderId", "placedAt", "shipping", "status", "total"`},
		{"extra with a long name", "order.placed", with(orderEvent, `"`+strings.Repeat("n", 600)+`":1`), `additionalProperties: is not a declared property; declared are "coupons", "customerId", "lines", "note", "orderId", "placedAt", "shipping", "status", "total"`},
		{"another case", "order.placed", order(`"customerId"`, `"customerID"`), `required: "customerId" is missing (and 1 more)`},
		{"null instead of text", "order.placed", order(`"ada"`, `null`), `/customerId: type: must be a string but is null`},
		{"number instead of text", "order.placed", order(`"ada"`, `12`), `/customerId: type: must be a string but is an integer`},
		{"too short", "order.placed", order(`"ada"`, `""`), `/customerId: pattern: must match ^[A-Za-z0-9_-]+$ but is "" (and 1 more)`},
		{"too long", "order.placed", order(`"ada"`, `"`+strings.Repeat("é", 65)+`"`), `/customerId: pattern: must match ^[A-Za-z0-9_-]+$ but is "éééééééééééééé..." (and 1 more)`},
		{"not in the pattern", "order.placed", order(`"ada"`, `"Ada Lovelace"`), `/customerId: pattern: must match ^[A-Za-z0-9_-]+$ but is "Ada Lovelace"`},
		{"bad uuid", "order.placed", order(`0b9f7a64-`, `0b9f7a64`), `/orderId: format: must be a UUID such as 0b9f7a64-3f7c-4e0f-9a52-5a0d1c5e8f11 but is "0b9f7a643f7c-4e0f-9a52-5a0d1c..."`},
		{"bad date-time", "order.placed", order(`2026-01-31T12:00:00Z`, `2026-01-31 12:00`), `/placedAt: format: must be a date and time with zone, such as 2026-01-31T12:00:00Z but is "2026-01-31 12:00"`},
		{"no such day", "order.placed", order(`2026-01-31T`, `2026-02-30T`), `/placedAt: format: must be a date and time with zone, such as 2026-01-31T12:00:00Z but is "2026-02-30T12:00:00Z"`},
		{"wrong enum", "order.placed", order(`"paid"`, `"shipped"`), `/status: enum: must be one of "paid", "invoiced" but is "shipped"`},
		{"enum of another type", "order.placed", order(`"paid"`, `{"paid":true}`), `/status: enum: must be one of "paid", "invoiced" but is an object`},
		{"long value", "order.placed", order(`"paid"`, `"`+strings.Repeat("secret ", 100)+`"`), `/status: enum: must be one of "paid", "invoiced" but is "secret secret secret secret s..."`},
		{"no items", "order.placed", order(`[{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}]`, `[]`), `/lines: minItems: must have at least 1 item but has 0`},
		{"object instead of a list", "order.placed", order(`[{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}}]`, `{"0":{}}`), `/lines: type: must be an array but is an object`},
		{"wrong item", "order.placed", order(`"lines":[`, `"lines":[7,`), `/lines/0: type: must be an object but is an integer`},
		{"second item", "order.placed", order(`"EUR"}}]`, `"EUR"}},{"sku":"x","quantity":1,"price":{"amount":1,"currency":"EUR"}}]`), `/lines/1/sku: pattern: must match ^[A-Z0-9-]{3,20}$ but is "x"`},
		{"too many items", "order.placed", order(`"lines":[`, `"lines":[`+strings.Repeat(`{"sku":"BOOK-1","quantity":2,"price":{"amount":1250,"currency":"EUR"}},`, 100)), `/lines: maxItems: must have at most 100 items but has 101`},
		{"below the minimum", "order.placed", order(`"amount":1250`, `"amount":-3`), `/lines/0/price/amount: minimum: must be >= 0 but is -3`},
		{"above the maximum", "order.placed", order(`"amount":1250`, `"amount":1000000000000`), `/lines/0/price/amount: maximum: must be <= 999999999999 but is 1000000000000`},
		{"huge integer", "order.placed", order(`"amount":1250`, `"amount":`+strings.Repeat("9", 100)), `/lines/0/price/amount: maximum: must be <= 999999999999 but is 99999999999999999999999999999...`},
		{"fraction", "order.placed", order(`"quantity":2`, `"quantity":2.5`), `/lines/0/quantity: type: must be an integer but is 2.5`},
		{"fraction that float64 would round", "order.placed", order(`"quantity":2`, `"quantity":2.00000000000000000000001`), `/lines/0/quantity: type: must be an integer but is 2.00000000000000000000001`},
		{"text instead of a number", "order.placed", order(`"quantity":2`, `"quantity":"2"`), `/lines/0/quantity: type: must be an integer but is a string`},
		{"not a multiple", "order.placed", order(`"quantity":2`, `"quantity":2,"discount":0.125`), `/lines/0/discount: multipleOf: must be a multiple of 0.01 but is 0.125`},
		{"exclusive maximum", "order.placed", order(`"quantity":2`, `"quantity":2,"discount":1.0`), `/lines/0/discount: exclusiveMaximum: must be < 1 but is 1.0`},
		{"equal items", "order.placed", with(orderEvent, `"coupons":["SPRING","SUMMER","SPRING"]`), `/coupons: uniqueItems: items 0 and 2 are equal; each may be given once`},
		{"wrong union", "order.placed", with(orderEvent, `"note":true`), `/note: type: must be null or a string but is a boolean`},
		{"none of the forms", "order.placed", with(orderEvent, `"shipping":{"street":"Main St","city":"Bern"}`), `/shipping: oneOf: matches none of the 2 allowed forms; of the closest one, /shipping: required: "country" is missing`},
		{"none of the forms at all", "order.placed", with(orderEvent, `"shipping":[]`), `/shipping: oneOf: matches none of the 2 allowed forms; of the closest one, /shipping: type: must be an object but is an array`},
		{"several faults", "order.placed", order(`"sku":"BOOK-1","quantity":2`, `"quantity":0,"sku":""`), `/lines/0/quantity: minimum: must be >= 1 but is 0 (and 1 more)`},
		{"the outer first", "order.placed", with(order(`"quantity":2`, `"quantity":0`), `"note":1,"extra":2`), `/note: type: must be null or a string but is an integer (and 2 more)`},

		// user.signed_up
		{"bad email", "user.signed_up", signup(`ada@example.com`, `ada@`), `/email: format: must be an email address such as ada@example.com but is "ada@"`},
		{"bad date", "user.signed_up", with(signupEvent, `"birthday":"10.12.1815"`), `/birthday: format: must be a date such as 2026-01-31 but is "10.12.1815"`},
		{"relative uri", "user.signed_up", with(signupEvent, `"website":"/ada"`), `/website: format: must be an absolute URI such as https://example.com/a but is "/ada"`},
		{"not the constant", "user.signed_up", with(signupEvent, `"acceptedTerms":false`), `/acceptedTerms: const: must be true but is false`},
		{"wrong enum of texts", "user.signed_up", signup(`"free"`, `"gratis"`), `/plan: enum: must be one of "free", "team", "enterprise" but is "gratis"`},
		{"goes with another", "user.signed_up", with(signupEvent, `"invitedBy":"u-0"`), `dependentRequired: "acceptedTerms" is missing, which goes with "invitedBy"`},
		{"then", "user.signed_up", signup(`"free"`, `"team"`), `required: "seats" is missing`},
		{"else", "user.signed_up", with(signupEvent, `"seats":3`), `/seats: properties: is not allowed`},
		{"bad name", "user.signed_up", with(signupEvent, `"labels":{"ok":1,"Not ok":2,"fine":3}`), `/labels/Not ok: propertyNames: the name "Not ok" is not allowed: must match ^[a-z][a-z0-9_]*$ but is "Not ok"`},
		{"bad value of a map", "user.signed_up", with(signupEvent, `"labels":{"ok":null}`), `/labels/ok: type: must be a boolean or a number or a string but is null`},
		{"too many members", "user.signed_up", with(signupEvent, `"labels":{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1}`), `/labels: maxProperties: must have at most 10 members but has 11`},
		{"none of any", "user.signed_up", with(signupEvent, `"referrer":"-x-"`), `/referrer: anyOf: matches none of the 2 allowed forms; of the closest one, /referrer: format: must be a host name such as www.example.com but is "-x-"`},
		{"type is of the envelope, plan is not", "user.signed_up", with(signupEvent, `"type":7,"Plan":"free"`), `/Plan: additionalProperties: is not a declared property; did you mean "plan"?`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, _ := reg.Lookup(tt.typ)
			for range 3 { // the library's own order changes from call to call
				err := s.Validate([]byte(tt.data))
				var v *Violation
				if !errors.As(err, &v) {
					t.Fatalf("got %v, want a violation", err)
				}
				if got := strings.TrimPrefix(v.Error(), tt.typ+" v1: "); got != tt.want {
					t.Errorf("\ngot:  %s\nwant: %s", got, tt.want)
				}
				wellFormed(t, v)
			}
		})
	}
}

func wellFormed(t *testing.T, v *Violation) {
	t.Helper()
	_, ok := tree.Tokens(v.Pointer)
	if !ok || len(v.Pointer) > tree.MaxPointer || v.Rule == "" || v.Detail == "" || len(v.Detail) > tree.MaxDetail || !utf8.ValidString(v.Detail) {
		t.Errorf("not well formed: %#v", v)
	}
}
