// Crashes on purpose: in hand-written assembly (assembly_*.S) and in what it calls.
#include <stddef.h>

static int* volatile nowhere;

int assembly_with_cfi(int (*function)(int), int value);
int assembly_without_cfi(int (*function)(int), int value);

__attribute__((noinline)) int crash(int value) {
  *nowhere = value;
  return value;
}

__attribute__((noinline)) static int in_between(int value) {
#ifdef WITHOUT_CFI
  return assembly_without_cfi(crash, value) + 1;
#else
  return assembly_with_cfi(crash, value) + 1;
#endif
}

int main(int argc, char** argv) {
  (void)argv;
  return in_between(argc) + 1;
}
