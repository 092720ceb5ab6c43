// Crashes on purpose: a write to a bad address in a function called by a goroutine.
package main

import (
	"os"
	"runtime/debug"
	"unsafe"
)

type store struct{ items map[string]int }

//go:noinline
func (s *store) put(key string, where uintptr) int {
	*(*int)(unsafe.Pointer(where)) = s.items[key]
	return s.items[key] + 1
}

//go:noinline
func work(done chan int, where uintptr) {
	s := &store{items: map[string]int{"a": len(os.Args)}}
	done <- s.put("a", where) + 1
}

func main() {
	debug.SetTraceback("crash")
	done := make(chan int)
	go work(done, 64)
	os.Exit(<-done)
}
