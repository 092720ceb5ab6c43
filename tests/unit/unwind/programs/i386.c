/* Dies on purpose, as a 32-bit program, without any library: none of them may be there for 32 bits.
 */
volatile int after;
int* volatile nowhere;

__attribute__((noinline)) void inner(int* where, int value) {
  *where = value; /* MARK: inner */
}

__attribute__((noinline)) void middle(int* where, int value) {
  inner(where, value + 1); /* MARK: middle */
  after = after + 1;
}

#ifdef HANDLER_FLAGS
void on_fault(int number) {
  __builtin_trap();
}

/* rt_sigaction(2). Without a restorer of ours handlers return to that of the vdso. */
void install_handler(void) {
  struct {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask[2];
  } action = {on_fault, HANDLER_FLAGS, 0, {0, 0}};
  int result;
  __asm__ volatile("int $0x80"
                   : "=a"(result)
                   : "a"(174), "b"(11 /* SIGSEGV */), "c"(&action), "d"(0), "S"(sizeof action.mask)
                   : "memory");
}
#else
void install_handler(void) {}
#endif

__attribute__((noinline, used)) void outer(void) {
  install_handler();
  middle(nowhere, 1); /* MARK: outer */
  after = after + 1;
}

__asm__(
    ".globl _start\n"
    ".type _start, @function\n"
    "_start:\n"
    "  call outer\n"
    "  hlt\n"
    ".size _start, . - _start\n");
