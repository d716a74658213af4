package access

import "net/http"

// Marked puts on every answer that it is what it says, and that nobody keeps it:
// a browser shows none as a page, and a cache between has no event and no state.
func Marked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
