// Crashes on purpose: a null write below frames whose size is known at run time only.
#include <alloca.h>
#include <string.h>

static int* volatile nowhere;

static volatile char sink;

__attribute__((noinline)) static int crash(char* bytes, int size) {
  sink = bytes[size / 2];
  *nowhere = size;
  return bytes[0];
}

__attribute__((noinline)) static int with_array(int size) {
  char array[size];
  memset(array, size, (size_t)size);
  return crash(array, size) + array[size - 1];
}

__attribute__((noinline)) static int with_alloca(int size) {
  char* bytes = alloca((size_t)size);
  memset(bytes, 1, (size_t)size);
  return with_array(size + bytes[size - 1]) + bytes[0];
}

__attribute__((noinline)) static int aligned(int size) {
  _Alignas(64) char wide[64];
  memset(wide, size, sizeof wide);
  return with_alloca(size + 40) + wide[size & 63];
}

int main(int argc, char** argv) {
  (void)argv;
  return aligned(argc * 100) + 1;
}
