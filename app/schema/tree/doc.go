// Package tree is JSON as a schema file holds it: values with the order of their members
// and their lines, exact numbers, sets of types, the keywords of JSON Schema, and JSON
// pointers. Document answers questions about a schema whose $refs all begin with "#".
//
// It may import the standard library, jsontext and app/textfile. What does not belong
// here: files and directories (schema), the validation of events (quick), and the
// comparison of schemas (evolve).
package tree
