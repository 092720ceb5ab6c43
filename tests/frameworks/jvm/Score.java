// What a JVM does with SIGSEGV. Crashes on purpose when told to:
//
//   Score null_checks      meets null 31,250 times, of which compiled code learns by a fault, and catches what is thrown
//   Score nobody_catches   the same, and then lets a NullPointerException end it
//   Score unsafe           writes to address 0, for which the JVM has no answer but to abort
//   Score native LIBRARY   the same, in a C library
public class Score {
    static final class Player {
        int score = 42;
    }

    static int scoreOf(Player player) {
        return player.score;
    }

    static int countNulls() {
        Player player = new Player();
        int caught = 0;
        for (int i = 0; i < 500000; i++) {
            try {
                scoreOf(i % 16 == 0 ? null : player);
            } catch (NullPointerException e) {
                caught++;
            }
        }
        return caught;
    }

    static void writeThroughNull() throws Exception {
        var field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
        field.setAccessible(true);
        ((sun.misc.Unsafe) field.get(null)).putLong(0, 42);
    }

    static void saveScore() throws Exception {
        writeThroughNull();
    }

    static void finishGame() throws Exception {
        saveScore();
    }

    static native void finishInC();

    public static void main(String[] arguments) throws Exception {
        switch (arguments[0]) {
            case "null_checks":
                System.out.println("caught " + countNulls());
                break;
            case "nobody_catches":
                countNulls();
                scoreOf(null);
                break;
            case "unsafe":
                finishGame();
                break;
            case "native":
                System.load(arguments[1]);
                finishInC();
                break;
        }
    }
}
