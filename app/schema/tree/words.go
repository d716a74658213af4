package tree

// OneOf lists values in words, as far as the list is short. There is one at least.
func OneOf[T any](values []T, show func(T) string) string {
	if len(values) == 1 {
		return show(values[0])
	}
	s := "one of "
	for i, v := range values {
		next := show(v)
		if i > 0 {
			s += ", "
		}
		if len(s)+len(next) > 200 {
			return s + "..."
		}
		s += next
	}
	return s
}
