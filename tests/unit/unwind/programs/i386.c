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

__attribute__((noinline, used)) void outer(void) {
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
