/* The order process. */
#include "order/commands.h"

int main(int argc, char **argv)
{
    return consumer_run(&order_definition, argc, argv);
}
