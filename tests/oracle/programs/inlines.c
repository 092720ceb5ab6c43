// Crashes on purpose: a null write in a function that is inlined four levels deep, called by one that is inlined too.

static int* volatile nowhere;

static volatile int sink;

__attribute__((always_inline)) static inline int innermost(int value) {
  sink = value;
  *nowhere = value;
  return sink;
}

__attribute__((always_inline)) static inline int inner(int value) {
  const int before = sink;
  return innermost(value + before) + 1;
}

__attribute__((noinline)) static int outlined(int value) {
  int sum = 0;
  for (int i = 0; i < 3; ++i) {
    sum += inner(value + i);
    sink = sum;
  }
  return sum;
}

__attribute__((always_inline)) static inline int outer(int value) {
  return outlined(value + sink) * 3;
}

__attribute__((always_inline)) static inline int outermost(int value) {
  return value > 0 ? outer(value) + 1 : 0;
}

int main(int argc, char** argv) {
  (void)argv;
  return outermost(argc) + 1;
}
