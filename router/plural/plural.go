package plural

import "strconv"

// Count is a number with its noun: "1 user", "2 users", "0 users". A noun whose
// plural is not its singular and an s is given with it.
func Count[N int | int32 | int64](n N, one string, many ...string) string {
	noun := one
	if n != 1 {
		noun = one + "s"
		if len(many) > 0 {
			noun = many[0]
		}
	}
	return strconv.FormatInt(int64(n), 10) + " " + noun
}

// Verb is the form of a verb that goes with a count.
func Verb[N int | int32 | int64](n N, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
