// Crashes and hangs on purpose: a write through a nil pointer, which Go's SIGSEGV handler turns into a panic, and a wait
// without an end.
package score

import (
	"os"
	"os/exec"
	"syscall"
	"testing"
)

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

// In the kernel, on a thread of its own: a goroutine that waits for another is on no stack of the process.
//
//go:noinline
func awaitScore() {
	os.WriteFile("hanging", nil, 0o600)
	for {
		syscall.Pause()
	}
}

func TestIsTheBest(t *testing.T) {
	if bestScore() != 42 {
		t.Fail()
	}
}

func TestIsWrong(t *testing.T) {
	if bestScore() != 41 {
		t.Error("best score is not 41")
	}
}

func TestIsRefused(t *testing.T) {
	child := exec.Command(os.Args[0], "-test.run=^TestIsSavedByAChild$")
	child.Env = append(os.Environ(), "SCORE_CHILD=1", "GOTRACEBACK=crash")
	child.Run()
	if !child.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
		t.Fail()
	}
}

func TestIsSavedByAChild(t *testing.T) {
	if os.Getenv("SCORE_CHILD") == "" {
		t.Skip("is the child of another")
	}
	finishGame()
}

func TestIsSaved(t *testing.T) {
	finishGame()
}

func TestIsAwaited(t *testing.T) {
	awaitScore()
}

func TestIsNeverReached(t *testing.T) {
}

func TestRecovers(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Fail()
		}
	}()
	finishGame()
}
