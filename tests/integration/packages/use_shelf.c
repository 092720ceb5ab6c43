/* Crashes on purpose, in a function that libshelf.so calls back. Before that it does to the file of that library what
 * its arguments say: use_shelf [rename|unlink|truncate|overwrite LIBRARY NEW] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void shelf_visit(void (*visitor)(void));

static int* volatile nowhere = NULL;

static void write_through_null(void) {
  *nowhere = 42; /* crash here */
}

static void overwrite(const char* library, const char* with) {
  static char bytes[1 << 20];
  const int from = open(with, O_RDONLY), to = open(library, O_WRONLY | O_TRUNC);
  const ssize_t size = read(from, bytes, sizeof bytes);
  if (size <= 0 || write(to, bytes, (size_t)size) != size) {
    perror("overwrite");
    exit(1);
  }
}

static char** arguments;

static void visit(void) {
  const char* how = arguments[1] ? arguments[1] : "";
  if (strcmp(how, "rename") == 0) {
    rename(arguments[3], arguments[2]);
  } else if (strcmp(how, "unlink") == 0) {
    unlink(arguments[2]);
  } else if (strcmp(how, "truncate") == 0) {
    truncate(arguments[2], 0);
  } else if (strcmp(how, "overwrite") == 0) {
    overwrite(arguments[2], arguments[3]);
  }
  write_through_null();
}

int main(int argc, char** argv) {
  (void)argc;
  arguments = argv;
  /* File times have the grain of the kernel's tick: the library was mapped in an earlier one. */
  usleep(20000);
  shelf_visit(visit);
  return 0;
}
