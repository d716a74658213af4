// Package textfile is what the files that people write have in common, whatever
// is in them: the one YAML document of a file, faults with file, line, path and
// cure, and the word that was meant by a mistyped one.
//
// It is a leaf. What a file may hold is decided by the package that reads it.
package textfile
