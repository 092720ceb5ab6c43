// Crashes on purpose: a write through a nil pointer, which Go's SIGSEGV handler turns into a panic.
package score

import "testing"

var nowhere *int

//go:noinline
func bestScore() int {
	return 42
}

//go:noinline
func writeThroughNil() {
	*nowhere = bestScore()
}

//go:noinline
func saveScore() {
	writeThroughNil()
}

//go:noinline
func finishGame() {
	saveScore()
}

func TestIsTheBest(t *testing.T) {
	if bestScore() != 42 {
		t.Fail()
	}
}

func TestIsSaved(t *testing.T) {
	finishGame()
}

func TestRecovers(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fail()
		}
	}()
	finishGame()
}
