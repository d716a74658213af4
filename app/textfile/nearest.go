package textfile

import "strings"

// Nearest is the word with the fewest typing mistakes from s, at most limit of
// them, or "". Case does not count, nor whether it is - or _.
func Nearest(s string, words []string, limit int) string {
	s = strings.ReplaceAll(strings.ToLower(s), "-", "_")
	best := ""
	if len(s) > 64 { // no key is so long, and the distance is quadratic
		return ""
	}
	for _, w := range words {
		t := strings.ReplaceAll(strings.ToLower(w), "-", "_")
		if len(t)-len(s) > limit || len(s)-len(t) > limit { // nor is the distance less; there may be thousands of words
			continue
		}
		d := distance(s, t)
		// A word of which nothing is left is not meant.
		if d <= limit && d < len(w) {
			best, limit = w, d-1
		}
	}
	return best
}

// distance counts insertions, deletions, replacements and swaps of neighbours.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
