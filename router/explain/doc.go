// Package explain tells where an event is: when and where it was accepted, and
// for each destination whether it was filtered out, what it waits for, how often
// it was attempted, when it was delivered or why it was given up.
//
// There is no database of events. The topics say what there is, the groups'
// commits what is done, and the live scheduler of this process, where there is
// one, what happens at the moment. The order in which they are asked makes the
// answer true: a record is in the next topic before it is done in the one before.
//
// The types of question and answer are here (types.go). It may import router and infra;
// it knows no concrete broker, no configuration file and no HTTP. Searching a topic is in search.go,
// the verdict on a destination in verdict.go, what its scheduler says in scheduler.go, words
// for people in text.go.
package explain
