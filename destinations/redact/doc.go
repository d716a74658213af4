// Package redact keeps our secrets, and the values of an event, out of text that
// a receiver sent. Error pages and debugging servers send back what they got,
// as it is or encoded, and the text goes into poison queues and to operators.
//
// A text passes in three steps:
//
//  1. A secret that is there as it was sent, or as JSON or HTML print it, becomes
//     [secret].
//  2. What is left is decoded in every common way, also several times over:
//     base64 and base32 at any alignment, hexadecimal, percent, backslash and HTML
//     escapes, quoted-printable, lists of character codes, backwards, ROT13, in
//     capitals, in pieces. Where ten characters of a secret or of an event's
//     value come out, the whole text is withheld.
//  3. A run of 32 characters or more that is no word is hidden as [token]: in
//     what no decoder knows (a hash, something compressed) nothing is readable.
//
// What is too much to decode is withheld: a text is kept because it was looked
// through, not because nothing was found in time.
//
// It may import the standard library only.
package redact
