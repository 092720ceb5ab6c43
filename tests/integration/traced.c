/* traced WHAT: crashes on purpose, or does what a tracer must not disturb.
 *   storm COUNT       that many children at once, of which every tenth crashes
 *   threads COUNT     that many threads are made and joined, then it crashes in a last one
 *   fault_in_handler  a handler takes a fault, returns, and the next fault is a crash
 *   stop              stops itself until somebody continues it, and crashes then
 *   unnoticed         a child of clone(2) with CLONE_PARENT crashes */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char* page;

__attribute__((noinline)) static void write_nowhere(void) {
  *(volatile int*)8 = 1;
}

__attribute__((noinline)) static void crash_in_tree(void) {
  write_nowhere();
  __asm__ volatile("");
}

static void* idle(void* unused) {
  return unused;
}

static void* crash_in_thread(void* unused) {
  crash_in_tree();
  return unused;
}

static void make_writable(int signal) {
  (void)signal;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static int storm(int count) {
  for (int i = 0; i < count; i++) {
    if (fork() == 0) {
      if (i % 10 == 0) {
        crash_in_tree();
      }
      _exit(0);
    }
  }
  while (wait(NULL) > 0) {
  }
  return 0;
}

static int threads(int count) {
  pthread_t thread;
  for (int i = 0; i < count; i++) {
    pthread_create(&thread, NULL, idle, NULL);
    pthread_join(thread, NULL);
  }
  pthread_create(&thread, NULL, crash_in_thread, NULL);
  return pthread_join(thread, NULL);
}

static int fault_in_handler(void) {
  page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  signal(SIGSEGV, make_writable);
  *(volatile char*)page = 1;
  signal(SIGSEGV, SIG_DFL);
  crash_in_tree();
  return 0;
}

int main(int count, char** arguments) {
  const char* what = count > 1 ? arguments[1] : "";
  const int number = count > 2 ? atoi(arguments[2]) : 0;
  if (strcmp(what, "storm") == 0) {
    return storm(number);
  }
  if (strcmp(what, "threads") == 0) {
    return threads(number);
  }
  if (strcmp(what, "fault_in_handler") == 0) {
    return fault_in_handler();
  }
  if (strcmp(what, "stop") == 0) {
    raise(SIGSTOP);
    crash_in_tree();
  }
  if (strcmp(what, "unnoticed") == 0) {
    const int child = fork();
    if (child == 0) {
      if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL) == 0) {
        crash_in_tree();
      }
      _exit(0);
    }
    while (wait(NULL) > 0) {
    }
    return 0;
  }
  return 2;
}
