//go:build race

package replay

// raced tells that the tests are slowed down to find races; there is one
// goroutine here.
const raced = true
