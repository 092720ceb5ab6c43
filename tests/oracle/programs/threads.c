// Crashes on purpose: one of five threads, while the others wait, each in its own way.
#define _GNU_SOURCE
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int* volatile nowhere;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static atomic_int waiting;

static void* wait_for_condition(void* unused) {
  pthread_mutex_lock(&mutex);
  atomic_fetch_add(&waiting, 1);
  for (;;) {
    pthread_cond_wait(&condition, &mutex);
  }
  return unused;
}

static void* wait_for_semaphore(void* unused) {
  atomic_fetch_add(&waiting, 1);
  sem_wait(&semaphore);
  return unused;
}

__attribute__((noinline)) static int read_pipe(int end) {
  char byte;
  return (int)read(end, &byte, 1) + byte;
}

static void* wait_for_pipe(void* end) {
  atomic_fetch_add(&waiting, 1);
  return read_pipe(*(int*)end) == 3 ? end : NULL;
}

// Whether a thread sleeps: the state in its stat file, proc_pid_stat(5).
static int sleeps(const char* tid) {
  char path[300], state = '?';
  snprintf(path, sizeof path, "/proc/self/task/%s/stat", tid);
  FILE* file = fopen(path, "r");
  if (file != NULL) {
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1) {
      state = '?';
    }
    fclose(file);
  }
  return state == 'S';
}

static int all_others_sleep(void) {
  char own[16];
  snprintf(own, sizeof own, "%d", (int)gettid());
  DIR* folder = opendir("/proc/self/task");
  int awake = 0;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    awake += entry->d_name[0] != '.' && strcmp(entry->d_name, own) != 0 && !sleeps(entry->d_name);
  }
  closedir(folder);
  return awake == 0;
}

__attribute__((noinline)) static int crash(int value) {
  *nowhere = value;
  return value;
}

static void* crash_last(void* unused) {
  while (atomic_load(&waiting) < 3 || !all_others_sleep()) {
    poll(NULL, 0, 1);
  }
  return crash(3) == 3 ? unused : NULL;
}

int main(void) {
  static int ends[2];
  sem_init(&semaphore, 0, 0);
  if (pipe(ends) != 0) {
    return 1;
  }
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for_condition, NULL);
  pthread_create(&thread, NULL, wait_for_semaphore, NULL);
  pthread_create(&thread, NULL, wait_for_pipe, &ends[0]);
  pthread_create(&thread, NULL, crash_last, NULL);
  pthread_join(thread, NULL);
  return 0;
}
