package plural

import "testing"

func TestCount(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{Count(0, "user"), "0 users"},
		{Count(1, "user"), "1 user"},
		{Count(2, "user"), "2 users"},
		{Count(int64(21), "user"), "21 users"},
		{Count(int32(1), "reply", "replies"), "1 reply"},
		{Count(3, "reply", "replies"), "3 replies"},
		{Count(1, "user") + " " + Verb(1, "waits", "wait"), "1 user waits"},
		{Count(0, "user") + " " + Verb(0, "waits", "wait"), "0 users wait"},
		{Count(2, "user") + " " + Verb(int64(2), "waits", "wait"), "2 users wait"},
	} {
		if c.got != c.want {
			t.Errorf("%q, want %q", c.got, c.want)
		}
	}
}
