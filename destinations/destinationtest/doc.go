// Package destinationtest is the conformance suite of destinations: what the
// router relies on, as tests. Every built-in kind passes it, and so should
// yours:
//
//	func TestConformance(t *testing.T) {
//		destinationtest.Run(t, destinationtest.Harness{
//			New: func(t *testing.T) destinations.Destination { return mykind.New(...) },
//		})
//	}
//
// Run it with -race. It may import destinations and the standard library.
// What only one kind promises belongs in that kind's own tests.
package destinationtest
