package strict

import (
	"errors"
	"os"
	"regexp"
	"strings"
)

var envName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand fills in ${NAME} and ${NAME:-default}; $${ is a literal ${. It works
// on one scalar after the YAML is parsed, so that a value cannot add keys. An
// error holds no part of text but the name of an unset variable: text may be a
// secret.
func expand(text string, hide *Hider) (string, error) {
	var out strings.Builder
	var unset []error
	rest := text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			out.WriteString(rest)
			return out.String(), errors.Join(unset...)
		}
		if i > 0 && rest[i-1] == '$' {
			out.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		out.WriteString(rest[:i])
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			return "", errors.New("has a ${ without its }; write ${NAME}, ${NAME:-default}, or $${ for a literal ${")
		}
		ref := rest[i+2 : i+end]
		rest = rest[i+end+1:]
		name, def, hasDefault := strings.Cut(ref, ":-")
		if !envName.MatchString(name) {
			return "", errors.New("has a ${...} that is not ${NAME} or ${NAME:-default}; a NAME has letters, digits and _; write $${ for a literal ${")
		}
		value, ok := os.LookupEnv(name)
		switch {
		case hasDefault && value == "":
			value = def
		case !ok:
			unset = append(unset, &unsetError{name})
			continue
		default:
			hide.add(value, "${"+name+"}")
		}
		out.WriteString(value)
	}
}
