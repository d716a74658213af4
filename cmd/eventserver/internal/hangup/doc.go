// Package hangup takes SIGHUP before the rest of the program is initialised.
//
// A service manager or logrotate may send it as soon as the process exists, and
// without this it ends the process. The other packages take some 20 ms to
// initialise. Go initialises packages in the order of their import paths, so
// this one, which imports the standard library alone, comes before nearly all.
// It is the one exception to "no package-level state".
package hangup
