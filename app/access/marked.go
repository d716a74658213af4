package access

import "net/http"

// Marked puts on every answer that it is what it says, and that nobody keeps it:
// a browser shows none as a page, and a cache between has no event and no state.
func Marked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		values := []string{"nosniff", "no-store"} // one array for both
		h := w.Header()
		h["X-Content-Type-Options"], h["Cache-Control"] = values[:1:1], values[1:]
		next.ServeHTTP(w, r)
	})
}
