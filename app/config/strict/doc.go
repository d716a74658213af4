// Package strict reads a YAML file into a struct whose tags say what the file may hold, and
// lists every fault at once: an unknown key, a wrong type, a missing or impossible value,
// each with file, line, path and cure. It fills in defaults, environment variables and
// secret files.
//
//	loader.go    a file into a struct                fields.go  what tags say
//	scalar.go    single values and their limits      env.go     ${NAME} in values
//	check.go     Validate, Precheck, Warn; secrets   faults.go  faults without secrets
//	partly.go    values that are left out            source.go  where the file comes from
//	shown.go     a struct as YAML, secrets hidden    table.go   a struct's keys as a table
//
// It may import the standard library, the YAML parser, app/textfile, router/plural and
// package destinations (for Secret). What does not belong here: any key.
package strict
