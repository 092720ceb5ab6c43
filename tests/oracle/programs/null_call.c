// Crashes on purpose: calls a null pointer.
static int (*volatile function)(int);

__attribute__((noinline)) static int call(int value) {
  return function(value) + 1;
}

__attribute__((noinline)) static int middle(int value) {
  return call(value + 1) * 2;
}

int main(int argc, char** argv) {
  (void)argv;
  return middle(argc) + 1;
}
