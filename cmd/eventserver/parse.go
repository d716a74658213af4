package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"

	"eventserver/app/textfile"
)

// usageError is a command line that cannot be understood.
type usageError struct{ error }

// helpText is the error of a command line that asks for help: run prints it.
type helpText string

// Error implements error.
func (h helpText) Error() string { return string(h) }

// helpWord reports whether s asks for help where a command or a flag may stand.
func helpWord(s string) bool { return s == "-h" || s == "-help" || s == "--help" }

// parse reads a command's flags and its operands, in any order; -- ends the flags.
// The usage names the operands, of which there are least to most.
func parse(name, usage string, args []string, least, most int, define func(*flag.FlagSet)) ([]string, error) {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	define(fs)
	var operands []string
	for len(args) > 0 {
		arg := args[0]
		if arg == "--" {
			operands = append(operands, args[1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' { // - alone is standard input
			operands, args = append(operands, arg), args[1:]
			continue
		}
		if helpWord(arg) {
			return nil, helpText(commandHelp(name, usage, fs))
		}
		took, err := setFlag(fs, args)
		if err != nil {
			return nil, misuse("%s: %w", name, err)
		}
		args = args[took:]
	}
	if len(operands) < least || len(operands) > most {
		if most == 0 {
			if _, ok := find(commands(), operands[0]); ok && name == defaultCommand {
				return nil, misuse("write the command first: eventserver %s [flags]", operands[0])
			}
			return nil, misuse("%s: %q is one argument too many; write: eventserver %s %s", name, operands[0], name, usage)
		}
		return nil, misuse("write: eventserver %s %s", name, usage)
	}
	return operands, nil
}

// setFlag sets the flag in front of args. It returns how many of them it took.
func setFlag(fs *flag.FlagSet, args []string) (took int, err error) {
	name, value, given := strings.Cut(strings.TrimPrefix(args[0][1:], "-"), "=")
	f := fs.Lookup(name)
	if f == nil {
		if near := nearestFlag(fs, name); near != "" {
			return 0, fmt.Errorf("there is no flag --%.80s; did you mean --%s?", name, near)
		}
		return 0, fmt.Errorf("there is no flag --%.80s; eventserver %s --help lists the flags", name, fs.Name())
	}
	took = 1
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	isBool := ok && b.IsBoolFlag()
	switch {
	case given:
	case isBool:
		value = "true"
	case len(args) < 2:
		return 0, fmt.Errorf("--%s: give a value behind it", name)
	default:
		took, value = 2, args[1]
	}
	if fs.Set(name, value) != nil {
		return 0, fmt.Errorf("--%s: %.80q is no %s", name, value, valueName(f))
	}
	return took, nil
}

func nearestFlag(fs *flag.FlagSet, name string) string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) { names = append(names, f.Name) })
	return nearest(name, names)
}

// nearest is the word that was meant by a mistyped one, or "".
func nearest(s string, words []string) string { return textfile.Nearest(s, words, 1+len(s)/4) }

// valueName says what a flag takes.
func valueName(f *flag.Flag) string {
	switch kind, _ := flag.UnquoteUsage(f); kind {
	case "":
		return "true or false"
	case "duration":
		return "time span such as 30s or 5m"
	case "int", "uint", "float":
		return "number that this flag takes"
	default:
		return kind
	}
}

// commandHelp is what COMMAND --help prints.
func commandHelp(name, usage string, fs *flag.FlagSet) string {
	var b strings.Builder
	fmt.Fprintf(&b, "usage: eventserver %s %s\n", name, usage)
	if c, ok := find(commands(), name); ok {
		fmt.Fprintf(&b, "\n%s\n", c.summary)
	}
	fs.VisitAll(func(f *flag.Flag) {
		kind, text := flag.UnquoteUsage(f)
		switch kind {
		case "duration":
			kind = "SPAN"
		case "int", "uint", "float":
			kind = "N"
		case "string":
			kind = "TEXT"
		}
		fmt.Fprintf(&b, "\n  %s\n      %s", strings.TrimRight("--"+f.Name+" "+kind, " "), text)
		switch f.DefValue {
		case "", "false", "0", "0s":
		default:
			fmt.Fprintf(&b, " (default %s)", f.DefValue)
		}
	})
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// given are the flags of a command line, but for some, to be written again.
func given(fs *flag.FlagSet, but ...string) []string {
	var out []string
	fs.Visit(func(f *flag.Flag) {
		if !slices.Contains(but, f.Name) {
			out = append(out, "--"+f.Name+"="+f.Value.String())
		}
	})
	return out
}

// find is the command of a name such as poison list.
func find(list []command, name string) (command, bool) {
	first, rest, more := strings.Cut(name, " ")
	for _, c := range list {
		if c.name != first {
			continue
		}
		if !more {
			return c, true
		}
		return find(c.sub, rest)
	}
	return command{}, false
}

// misuse is a usage error.
func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
