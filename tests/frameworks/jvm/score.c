/* Crashes on purpose: what Score.finishInC() is. */
#include <jni.h>

#include "tests/frameworks/score.h"

JNIEXPORT void JNICALL Java_Score_finishInC(JNIEnv* environment, jclass type) {
  (void)environment;
  (void)type;
  finish_game();
  RETURN_HERE();
}
