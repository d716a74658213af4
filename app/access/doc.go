// Package access is what the listeners of a server have in common that decides
// who may ask: the secrets of clients and operators, known by their digests only,
// what a web page can make a browser of this machine send, and how many may be
// connected.
//
// It imports the standard library only. Roles, answers and what each listener
// asks for belong to packages app/ingest and app/admin.
package access
