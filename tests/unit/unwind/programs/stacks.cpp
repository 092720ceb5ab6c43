// Dies on purpose, in the way its argument names, with stacks of known frames. The tests find lines
// by the words after "MARK:". Built in many flavours; see the CMakeLists.txt above.
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE __attribute__((always_inline)) inline

namespace shop {

volatile int after;  // written after every call, so that none of them becomes a jump
int* volatile nowhere = nullptr;
void (*volatile target)() = nullptr;

namespace {

ALWAYS_INLINE void put(int* where, int value) {
  *where = value;  // MARK: put
}

NOINLINE void give_up() {
  abort();  // MARK: give_up
}

}  // namespace

struct Shelf {
  int* slot;

  ALWAYS_INLINE void put_twice(int value) {
    put(slot, value);  // MARK: put_twice
    after = after + 1;
    put(slot, value);
  }
};

template <typename T>
NOINLINE void inner(T* where) {
  Shelf shelf{where};
  shelf.put_twice(3);  // MARK: inner
  after = after + 1;
}

NOINLINE void middle(int* where) {
  inner<int>(where);  // MARK: middle
  after = after + 1;
}

NOINLINE void outer(int* where) {
  middle(where);  // MARK: outer
  after = after + 1;
}

NOINLINE void call_target() {
  target();  // MARK: call_target
  after = after + 1;
}

void on_segv(int) {
  abort();  // MARK: on_segv
}

// Fails in its turn, and so do its own handlers, twenty deep.
void on_segv_again(int) {
  static volatile int depth;
  static int* volatile elsewhere = reinterpret_cast<int*>(8);
  depth = depth + 1;
  if (depth < 20) {
    *elsewhere = 1;
  }
  abort();
}

NOINLINE void install_handler(int flags, void (*handler)(int) = on_segv) {
  static char other_stack[65536];
  stack_t stack{};
  stack.ss_sp = other_stack;
  stack.ss_size = sizeof other_stack;
  sigaltstack(&stack, nullptr);
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigaction(SIGSEGV, &action, nullptr);
}

// A signal trampoline whose call frame table begins at its first instruction, not one byte earlier as that of the C
// library. The offsets are those of ucontext_t above the stack pointer.
__asm__(
    ".text\n"
    "  nop\n"
    ".type own_trampoline, @function\n"
    "own_trampoline:\n"
    "  .cfi_startproc\n"
    "  .cfi_signal_frame\n"
    "  .cfi_def_cfa %rsp, 0\n"
    "  .cfi_offset %rbp, 120\n"
    "  .cfi_offset %rbx, 128\n"
    "  .cfi_offset %rsp, 160\n"
    "  .cfi_offset %rip, 168\n"
    "  mov $15, %eax\n"
    "  syscall\n"
    "  .cfi_endproc\n"
    ".size own_trampoline, . - own_trampoline\n");
extern "C" void own_trampoline();

// As in Go, with a table that does not say what it is; as in musl, without one.
__asm__(
    ".text\n"
    "  .fill 16, 1, 0x90\n"
    ".type unmarked_trampoline, @function\n"
    "unmarked_trampoline:\n"
    "  .cfi_startproc\n"
    "  mov $15, %rax\n"
    "  syscall\n"
    "  int3\n"
    "  .cfi_endproc\n"
    ".size unmarked_trampoline, . - unmarked_trampoline\n"
    "  .fill 16, 1, 0x90\n"
    ".type bare_trampoline, @function\n"
    "bare_trampoline:\n"
    "  mov $15, %eax\n"
    "  syscall\n"
    ".size bare_trampoline, . - bare_trampoline\n");
extern "C" void unmarked_trampoline();
extern "C" void bare_trampoline();

NOINLINE void install_handler_with(void (*trampoline)()) {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)();
    unsigned long mask;
  } action = {on_segv, 0x04000000 /* SA_RESTORER */, trampoline, 0};
  syscall(SYS_rt_sigaction, SIGSEGV, &action, nullptr, sizeof action.mask);
}

// A label without size, a function with one and two names, and bytes that belong to neither.
__asm__(
    ".text\n"
    ".type unsized_label, @function\n"
    "unsized_label:\n"
    "  nop\n"
    ".weak sized_function\n"
    ".globl _sized\n"
    ".type sized_function, @function\n"
    ".type _sized, @function\n"
    "sized_function:\n"
    "_sized:\n"
    "  nop\n"
    ".size sized_function, . - sized_function\n"
    ".size _sized, . - _sized\n"
    "  .fill 16, 1, 0x90\n");

// Its debug information lies inside that of the function around it.
NOINLINE void use_local() {
  struct Local {
    NOINLINE static void store(int* where) {
      *where = 4;  // MARK: local
      after = after + 1;
    }
  };
  Local::store(nowhere);
  after = after + 1;
}

NOINLINE int recurse(int depth) {
  if (depth == 0) {
    *nowhere = 1;
  }
  const int below = recurse(depth - 1);  // MARK: recurse
  after = after + 1;
  return below + depth;
}

// Writes over its own return address and what lies above it.
NOINLINE void smash() {
  void* volatile* frame = static_cast<void**>(__builtin_frame_address(0));
  for (int i = 0; i < 3; ++i) {
    frame[i] = reinterpret_cast<void*>(0x4141414141414141);
  }
}

NOINLINE void call_smash() {
  volatile char room[64];
  room[0] = 0;
  smash();
  after = after + room[0];
}

NOINLINE void ask_time() {
  timespec* volatile where = reinterpret_cast<timespec*>(8);
  clock_gettime(CLOCK_REALTIME_COARSE, where);  // MARK: ask_time
  after = after + 1;
}

void* worker(void*) {
  outer(nowhere);  // MARK: worker
  return nullptr;
}

NOINLINE void run_thread() {
  pthread_t thread;
  pthread_create(&thread, nullptr, worker, nullptr);
  pthread_join(thread, nullptr);
}

NOINLINE void run(const char* what) {
  if (strcmp(what, "null_call") == 0) {
    call_target();
  } else if (strcmp(what, "wild_jump") == 0) {
    target = reinterpret_cast<void (*)()>(0x123456);
    call_target();
  } else if (strcmp(what, "abort") == 0) {
    give_up();
  } else if (strcmp(what, "handler") == 0) {
    install_handler(0);
  } else if (strcmp(what, "handler_with_siginfo") == 0) {
    install_handler(SA_SIGINFO);
  } else if (strcmp(what, "nested_handlers") == 0) {
    install_handler(SA_SIGINFO | SA_NODEFER, on_segv_again);
  } else if (strcmp(what, "handler_on_other_stack") == 0) {
    install_handler(SA_ONSTACK);
  } else if (strcmp(what, "handler_of_null_call") == 0) {
    install_handler(0);
    call_target();
  } else if (strcmp(what, "recursion") == 0) {
    recurse(600);
  } else if (strcmp(what, "stack_overflow") == 0) {
    recurse(-1);
  } else if (strcmp(what, "smash") == 0) {
    call_smash();
  } else if (strcmp(what, "thread") == 0) {
    run_thread();
  } else if (strcmp(what, "vdso") == 0) {
    ask_time();
  } else if (strcmp(what, "own_trampoline") == 0) {
    install_handler_with(own_trampoline);
  } else if (strcmp(what, "unmarked_trampoline") == 0) {
    install_handler_with(unmarked_trampoline);
  } else if (strcmp(what, "bare_trampoline") == 0) {
    install_handler_with(bare_trampoline);
  } else if (strcmp(what, "local") == 0) {
    use_local();
  }
  outer(nowhere);  // MARK: run
  after = after + 1;
}

}  // namespace shop

int main(int, char** arguments) {
  shop::run(arguments[1]);  // MARK: main
  return shop::after;
}
