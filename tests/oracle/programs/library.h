// What library.c has: linked, or opened with dlopen().
#pragma once

int library_call(int (*function)(int), int value);
int library_crash(int value);
