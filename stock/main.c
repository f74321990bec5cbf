/* The stock process. */
#include "stock/commands.h"

int main(int argc, char **argv)
{
    return consumer_run(&stock_definition, argc, argv);
}
