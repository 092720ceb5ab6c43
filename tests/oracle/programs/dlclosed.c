// Crashes on purpose: calls into a library that was closed before.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static int call(int (*function)(int), int value) {
  return function(value) + 1;
}

int main(int argc, char** argv) {
  void* library = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  int (*function)(int);
  *(void**)&function = dlsym(library, "library_crash");
  dlclose(library);
  return call(function, argc) + 1;
}
