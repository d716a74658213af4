// Package memory is a broker inside this process that keeps everything in RAM
// and loses it at Close: for tests, examples and a first try. What a subscriber
// sees is what it would see of infra/kafka; infra/brokertest holds both to it.
//
// It may import infra, Watermill and the standard library.
package memory
